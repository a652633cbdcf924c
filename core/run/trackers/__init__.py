"""Where trainings are followed beside their run folders (`--tracker`): one protocol, one file a tracker."""
