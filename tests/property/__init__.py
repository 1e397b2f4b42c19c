"""What must hold whatever is commanded: both engines under random commands, audited from their events."""
