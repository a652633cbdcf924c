"""How a run goes: loop, task, folder, state, console."""
