"""What runs when: tasks and how long they live, deadlines, and one task that serves many."""
