//! What a user asks for, resolved to a plan.
