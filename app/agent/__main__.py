"""``python -m app.agent``: the agent without the CLI's imports."""

from app.agent.main import run
from app.settings import load_settings

run(load_settings())
