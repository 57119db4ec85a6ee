"""The planner waits for instructions: ros2 launch habilis planner.launch.py robot:=fr3."""

from launch import LaunchDescription

from hardware.ros.launching import declare, node


def generate_launch_description():
    return LaunchDescription(
        [
            *declare("robot", "model", "namespace", "tf_prefix", "use_sim_time", "params_file"),
            node("planner", "planner", "robot", "model", "tf_prefix"),
        ]
    )
