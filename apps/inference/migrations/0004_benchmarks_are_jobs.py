"""Benchmark runs become jobs like all others; those that are over keep what they found."""

from django.db import migrations, models


def complete(apps, schema_editor):
    runs = apps.get_model("inference", "BenchmarkRun").objects
    runs.filter(state="done").update(fraction=1.0)


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0003_warm_prompt_progress'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='benchmarkrun',
            name='cancel_requested',
        ),
        migrations.AddField(
            model_name='benchmarkrun',
            name='fraction',
            field=models.FloatField(default=0.0, help_text='How far it is, from 0.0 to 1.0.'),
        ),
        migrations.AddField(
            model_name='benchmarkrun',
            name='runner',
            field=models.CharField(blank=True, help_text='The process at it: host, process id, start.', max_length=200),
        ),
        migrations.AddField(
            model_name='benchmarkrun',
            name='wish',
            field=models.CharField(blank=True, choices=[('', 'go on'), ('pause', 'pause'), ('cancel', 'cancel')], default='', max_length=8),
        ),
        migrations.AlterField(
            model_name='benchmarkrun',
            name='doing',
            field=models.CharField(blank=True, help_text='The present stage, in words.', max_length=200),
        ),
        migrations.AlterField(
            model_name='benchmarkrun',
            name='error',
            field=models.TextField(blank=True, help_text='Why it did not get to its end.'),
        ),
        migrations.AlterField(
            model_name='benchmarkrun',
            name='state',
            field=models.CharField(choices=[('queued', 'queued'), ('running', 'running'), ('paused', 'paused'), ('done', 'done'), ('failed', 'failed'), ('cancelled', 'cancelled'), ('interrupted', 'interrupted')], db_index=True, default='queued', max_length=16),
        ),
        migrations.RunPython(complete, migrations.RunPython.noop),
    ]
