"""The vocabulary that edge, cloud and simulator share: pure values and codecs, no I/O."""
