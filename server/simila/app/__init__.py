"""The composition root: settings to objects to FastAPI."""

from simila.app.encoders import devices_of, load_encoders
from simila.app.server import create_app, problems_of
from simila.app.services import compose_services, label_scorers
from simila.app.stores import Stores

__all__ = [
    "Stores",
    "compose_services",
    "create_app",
    "devices_of",
    "label_scorers",
    "load_encoders",
    "problems_of",
]
