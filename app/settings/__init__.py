"""How the value of a setting is read and checked. `app/config.py` says which settings there are."""
