"""Skills: tools that move the robot; what they promise is sensed before it is said."""
