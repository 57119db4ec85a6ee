"""A trained policy drives a robot: ros2 launch habilis policy.launch.py robot:=allegro policy:=turn.onnx."""

from launch import LaunchDescription

from hardware.ros.launching import declare, node


def generate_launch_description():
    return LaunchDescription(
        [
            *declare("robot", "policy", "dry_run", "confirm"),
            *declare("namespace", "tf_prefix", "use_sim_time", "params_file"),
            node("deploy", "policy", "robot", "policy", "dry_run", "confirm", "tf_prefix"),
        ]
    )
