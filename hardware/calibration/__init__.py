"""Calibration of cameras and joints.

| file | what |
|---|---|
| `board.py` | the ChArUco board: to print, and found in images |
| `intrinsics.py` | a camera's focal lengths, principal point and distortion |
| `hand_eye.py` | where a camera is: on the hand, or beside the robot |
| `joints.py` | whether each joint moves as the model says: name, sign, offset, delay |
| `report.py` | the page with figures, and the certificate without which a policy moves no new robot |
"""
