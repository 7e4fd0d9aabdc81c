from django.db import migrations, models

import apps.inference.keys.endpoints


class Migration(migrations.Migration):
    dependencies = [
        ("keys", "0002_user_of_a_key"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="endpoint_limits",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text='Of groups of endpoints: {"embeddings": {"requests_per_minute": 60}}. Empty: none.',
                validators=[apps.inference.keys.endpoints.check_stored],
                verbose_name="limits per endpoint",
            ),
        ),
        migrations.AddField(
            model_name="admission",
            name="endpoints",
            field=models.CharField(
                choices=[
                    ("generation", "Generation"),
                    ("embeddings", "Embeddings"),
                    ("rerank", "Reranking"),
                    ("other", "Tokens and others"),
                    ("management", "Management"),
                ],
                default="generation",
                max_length=12,
            ),
        ),
    ]
