"""The ASGI application that uvicorn serves."""

import os
import warnings

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlxhub_site.settings")

# WhiteNoise answers with files, which are read synchronously. They are small and
# local; the hub's own streams are asynchronous, and tested to be.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")

application = get_asgi_application()
