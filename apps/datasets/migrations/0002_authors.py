from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("datasets", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="datasetjob",
            name="kind",
            field=models.CharField(
                choices=[
                    ("import", "import"),
                    ("map", "mapping"),
                    ("drop", "removal of rows"),
                    ("mask", "masking"),
                    ("edit", "edit of rows"),
                    ("split", "split"),
                    ("sample", "sample"),
                    ("merge", "merge"),
                    ("near", "search for near duplicates"),
                    ("tokens", "token count"),
                    ("languages", "look at languages"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="datasetjob",
            name="ordered_by",
            field=models.CharField(blank=True, default="", max_length=150),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="author",
            field=models.CharField(
                blank=True, default="", help_text="Who ordered the change.", max_length=150
            ),
            preserve_default=False,
        ),
    ]
