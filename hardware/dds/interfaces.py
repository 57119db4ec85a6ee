"""Texts of the ROS interfaces that `rosbags` does not ship, as the packages define them.

`rosbags` carries the messages of the common packages, no services, no actions and no control_msgs. Fields,
their order and their types decide the wire format and the type hash; comments do not.
"""

from __future__ import annotations

from typing import Final, Literal

Distro = Literal["humble", "jazzy", "kilted", "lyrical"]

_JOINT_POINT: Final = "trajectory_msgs/JointTrajectoryPoint"
_MULTI_DOF_POINT: Final = "trajectory_msgs/MultiDOFJointTrajectoryPoint"


def _points(prefix: str, type_name: str, names: str) -> str:
    return "\n".join(f"{type_name} {prefix}{name}" for name in names.split())


def _controller_state(distro: Distro) -> str:
    """Return control_msgs/msg/JointTrajectoryControllerState: 4.x has two old names more, 5.3 the scaling."""
    names = "reference feedback error output" + (" desired actual" if distro == "humble" else "")
    return "\n".join(
        [
            "std_msgs/Header header",
            "string[] joint_names",
            _points("", _JOINT_POINT, names),
            "string[] multi_dof_joint_names",
            _points("multi_dof_", _MULTI_DOF_POINT, names),
            "" if distro == "humble" else "float64 speed_scaling_factor",
        ]
    )


def _follow_joint_trajectory(distro: Distro) -> str:
    """Return control_msgs/action/FollowJointTrajectory: since 6.3 the feedback carries indices."""
    index = distro in ("kilted", "lyrical")
    feedback = [
        "std_msgs/Header header",
        "string[] joint_names",
        _points("", _JOINT_POINT, "desired actual error"),
        *(["int32 index"] if index else []),
        "string[] multi_dof_joint_names",
        _points("multi_dof_", _MULTI_DOF_POINT, "desired actual error"),
        *(["int32 multi_dof_index"] if index else []),
    ]
    return _FOLLOW_JOINT_TRAJECTORY + "---\n" + "\n".join(feedback)


_FOLLOW_JOINT_TRAJECTORY: Final = """
trajectory_msgs/JointTrajectory trajectory
trajectory_msgs/MultiDOFJointTrajectory multi_dof_trajectory
control_msgs/JointTolerance[] path_tolerance
control_msgs/JointComponentTolerance[] component_path_tolerance
control_msgs/JointTolerance[] goal_tolerance
control_msgs/JointComponentTolerance[] component_goal_tolerance
builtin_interfaces/Duration goal_time_tolerance
---
int32 SUCCESSFUL = 0
int32 INVALID_GOAL = -1
int32 INVALID_JOINTS = -2
int32 OLD_HEADER_TIMESTAMP = -3
int32 PATH_TOLERANCE_VIOLATED = -4
int32 GOAL_TOLERANCE_VIOLATED = -5
int32 error_code
string error_string
"""

_MESSAGES: Final = {
    "control_msgs/msg/DynamicJointState": """
std_msgs/Header header
string[] joint_names
control_msgs/InterfaceValue[] interface_values
""",
    "control_msgs/msg/GripperCommand": "float64 position\nfloat64 max_effort",
    "control_msgs/msg/InterfaceValue": "string[] interface_names\nfloat64[] values",
    "control_msgs/msg/JointComponentTolerance": """
uint16 X_AXIS=1
uint16 Y_AXIS=2
uint16 Z_AXIS=3
uint16 TRANSLATION=4
uint16 ROTATION=5
string joint_name
uint16 component
float64 position
float64 velocity
float64 acceleration
""",
    "control_msgs/msg/JointJog": """
std_msgs/Header header
string[] joint_names
float64[] displacements
float64[] velocities
float64 duration
""",
    "control_msgs/msg/JointTolerance": """
string name
float64 position
float64 velocity
float64 acceleration
""",
    "control_msgs/msg/SpeedScalingFactor": "float64 factor",
    "controller_manager_msgs/msg/ChainConnection": "string name\nstring[] reference_interfaces",
    "controller_manager_msgs/msg/ControllerState": """
string name
string state
string type
string[] claimed_interfaces
string[] required_command_interfaces
string[] required_state_interfaces
bool is_chainable
bool is_chained
string[] reference_interfaces
controller_manager_msgs/ChainConnection[] chain_connections
""",
    "habilis_msgs/msg/PlannerEvent": """
std_msgs/Header header
string kind
string text
""",
    "ur_dashboard_msgs/msg/RobotMode": """
int8 NO_CONTROLLER=-1
int8 DISCONNECTED=0
int8 CONFIRM_SAFETY=1
int8 BOOTING=2
int8 POWER_OFF=3
int8 POWER_ON=4
int8 IDLE=5
int8 BACKDRIVE=6
int8 RUNNING=7
int8 UPDATING_FIRMWARE=8
int8 mode
""",
    "ur_dashboard_msgs/msg/SafetyMode": """
uint8 NORMAL=1
uint8 REDUCED=2
uint8 PROTECTIVE_STOP=3
uint8 RECOVERY=4
uint8 SAFEGUARD_STOP=5
uint8 SYSTEM_EMERGENCY_STOP=6
uint8 ROBOT_EMERGENCY_STOP=7
uint8 VIOLATION=8
uint8 FAULT=9
uint8 VALIDATE_JOINT_ID=10
uint8 UNDEFINED_SAFETY_MODE=11
uint8 AUTOMATIC_MODE_SAFEGUARD_STOP=12
uint8 SYSTEM_THREE_POSITION_ENABLING_STOP=13
uint8 mode
""",
}

_SERVICES: Final = {
    "action_msgs/srv/CancelGoal": """
action_msgs/GoalInfo goal_info
---
int8 ERROR_NONE=0
int8 ERROR_REJECTED=1
int8 ERROR_UNKNOWN_GOAL_ID=2
int8 ERROR_GOAL_TERMINATED=3
int8 return_code
action_msgs/GoalInfo[] goals_canceling
""",
    "controller_manager_msgs/srv/ListControllers": """
---
controller_manager_msgs/ControllerState[] controller
""",
    "controller_manager_msgs/srv/SwitchController": """
int32 BEST_EFFORT=1
int32 STRICT=2
string[] activate_controllers
string[] deactivate_controllers
int32 strictness
bool activate_asap
builtin_interfaces/Duration timeout
---
bool ok
""",
    "lifecycle_msgs/srv/ChangeState": "lifecycle_msgs/Transition transition\n---\nbool success",
    "lifecycle_msgs/srv/GetAvailableStates": "---\nlifecycle_msgs/State[] available_states",
    "lifecycle_msgs/srv/GetAvailableTransitions": (
        "---\nlifecycle_msgs/TransitionDescription[] available_transitions"
    ),
    "lifecycle_msgs/srv/GetState": "---\nlifecycle_msgs/State current_state",
    "rcl_interfaces/srv/DescribeParameters": """
string[] names
---
rcl_interfaces/ParameterDescriptor[] descriptors
""",
    "rcl_interfaces/srv/GetParameters": "string[] names\n---\nrcl_interfaces/ParameterValue[] values",
    "rcl_interfaces/srv/GetParameterTypes": "string[] names\n---\nuint8[] types",
    "rcl_interfaces/srv/ListParameters": """
uint64 DEPTH_RECURSIVE=0
string[] prefixes
uint64 depth
---
rcl_interfaces/ListParametersResult result
""",
    "rcl_interfaces/srv/SetParameters": """
rcl_interfaces/Parameter[] parameters
---
rcl_interfaces/SetParametersResult[] results
""",
    "rcl_interfaces/srv/SetParametersAtomically": """
rcl_interfaces/Parameter[] parameters
---
rcl_interfaces/SetParametersResult result
""",
    "std_srvs/srv/Empty": "---",
    "std_srvs/srv/SetBool": "bool data\n---\nbool success\nstring message",
    "std_srvs/srv/Trigger": "---\nbool success\nstring message",
}

_GRIPPER_STATE: Final = "float64 position\nfloat64 effort\nbool stalled\nbool reached_goal\n"
_JOINT_STATE: Final = "sensor_msgs/JointState state\n"

_ACTIONS: Final = {
    "control_msgs/action/GripperCommand": (
        f"control_msgs/GripperCommand command\n---\n{_GRIPPER_STATE}---\n{_GRIPPER_STATE}"
    ),
    "control_msgs/action/ParallelGripperCommand": (
        "sensor_msgs/JointState command\n---\n"
        f"{_JOINT_STATE}bool stalled\nbool reached_goal\n---\n{_JOINT_STATE}"
    ),
    "habilis_msgs/action/Instruct": """
string instruction
---
bool success
string answer
string trace
---
string kind
string text
""",
}


def texts(distro: Distro) -> dict[str, str]:
    """Return the texts of interfaces by name: `package/msg/Name`, `package/srv/...`, `package/action/...`."""
    return {
        **_MESSAGES,
        **_SERVICES,
        **_ACTIONS,
        "control_msgs/msg/JointTrajectoryControllerState": _controller_state(distro),
        "control_msgs/action/FollowJointTrajectory": _follow_joint_trajectory(distro),
    }
