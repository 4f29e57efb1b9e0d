from tests.providers.aws import PROVIDER
from tests.providers.base import serve

serve(PROVIDER)
