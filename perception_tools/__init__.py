"""What sees: geometry, the camera and tool contracts, perception tools and their hosting."""
