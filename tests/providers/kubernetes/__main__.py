from tests.providers.base import serve
from tests.providers.kubernetes import PROVIDER

serve(PROVIDER)
