"""A simulated robot behind the topics of a real one: ros2 launch habilis sim.launch.py robot:=fr3."""

from launch import LaunchDescription

from hardware.ros.launching import declare, node


def generate_launch_description():
    return LaunchDescription(
        [
            *declare("robot", "namespace", "tf_prefix", "seed", "use_sim_time", "params_file"),
            node("robot", "robot", "robot", "tf_prefix", "seed"),
        ]
    )
