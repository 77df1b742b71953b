"""Mail: building it, sending it over SMTP or into a local mailbox, and what each answer means.

`Mailer.send` is the way in. Nothing here reads the environment, the clock or chance by itself.
"""
