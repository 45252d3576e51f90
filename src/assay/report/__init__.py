"""From scored episodes to the standard report, comparisons, decisions, and every form they are shown in."""
