"""Devices, processes, threads and memory."""
