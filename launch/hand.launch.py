"""A dexterous hand: its vendor's driver, or with use_mock_hardware:=true a simulated hand."""

from launch import LaunchDescription

from habilis import driver_of
from hardware.ros.launching import bringup, declare


def generate_launch_description():
    return LaunchDescription(
        [
            *declare("robot", "robot_ip", "use_mock_hardware", "namespace", "tf_prefix", robot="allegro"),
            *declare("controllers_file", "use_sim_time", "params_file"),
            bringup(driver_of),
        ]
    )
