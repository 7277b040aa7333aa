"""Payment providers: what each is asked for and what it says, behind one wall."""
