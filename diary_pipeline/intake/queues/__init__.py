"""Queues that announce uploads: what is asked of one, the two that exist, and what their messages say."""
