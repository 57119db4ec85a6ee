"""A calibration, with its report: ros2 launch habilis calibrate.launch.py robot:=fr3 check:=joints."""

from launch import LaunchDescription

from hardware.ros.launching import declare, node


def generate_launch_description():
    return LaunchDescription(
        [
            *declare("robot", "check", "confirm", "namespace", "tf_prefix", "use_sim_time", "params_file"),
            node("calibrate", "calibrate", "robot", "check", "confirm", "tf_prefix"),
        ]
    )
