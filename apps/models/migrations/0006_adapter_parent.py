import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("models", "0005_trained_here")]

    operations = [
        migrations.AddField(
            model_name="adapter",
            name="parent",
            field=models.ForeignKey(
                blank=True,
                help_text="The adapter that its training went on from.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="successors",
                to="models.adapter",
            ),
        ),
    ]
