"""What is done to a diary across its stores: erase, retain, reconcile, back up, restore, export into a vault."""
