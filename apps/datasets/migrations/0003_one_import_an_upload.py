from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("datasets", "0002_authors")]

    operations = [
        migrations.AddField(
            model_name="datasetjob",
            name="upload",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The hub's own file that an import reads: no other import is ordered for it.",
                max_length=1000,
            ),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name="datasetjob",
            constraint=models.UniqueConstraint(
                condition=models.Q(("upload", ""), _negated=True),
                fields=("upload",),
                name="one_import_an_upload",
            ),
        ),
    ]
