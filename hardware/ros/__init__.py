"""The rclpy transport and the conversions between ROS messages and our own types."""
