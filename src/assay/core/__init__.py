"""The vocabulary: plain frozen values and the Protocols that every room meets through."""
