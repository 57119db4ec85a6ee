"""Multisensory readings: touch, force and torque, contact sound, temperature."""
