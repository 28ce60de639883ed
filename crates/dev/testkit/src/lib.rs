//! Machines, fixtures and the small test system.
