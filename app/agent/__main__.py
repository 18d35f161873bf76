"""``python -m app.agent``: the agent without the CLI's imports."""

import sys

from app.agent.main import run
from app.errors import PaasError
from app.settings import load_settings

try:
    run(load_settings())
except PaasError as error:
    sys.exit("\n".join(filter(None, [error.message, error.hint])))
