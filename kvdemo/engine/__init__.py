"""Run lanes on a device: the timer, the scheduler, each lane's history, the environment."""
