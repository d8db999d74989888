"""What all tests share: those of the core and those of the plugins."""

from hypothesis import HealthCheck, settings

# How long a machine takes is no property of the code: examples have no deadline.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
