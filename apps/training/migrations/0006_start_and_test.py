import django.db.models.deletion
from django.db import migrations, models

NAMES = [
    ("loss", "training loss"),
    ("validation_loss", "validation loss"),
    ("test_loss", "test loss"),
    ("learning_rate", "learning rate"),
    ("gradient_norm", "gradient norm"),
    ("tokens_per_second", "tokens per second"),
    ("peak_memory", "peak memory"),
    ("seconds", "seconds of training"),
    ("chosen_reward", "reward of chosen answers"),
    ("rejected_reward", "reward of rejected answers"),
    ("reward_margin", "reward margin"),
    ("reward_accuracy", "reward accuracy"),
    ("validation_margin", "validation reward margin"),
    ("validation_accuracy", "validation reward accuracy"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("models", "0005_trained_here"),
        ("training", "0005_step_timings"),
    ]

    operations = [
        migrations.AddField(
            model_name="trainingjob",
            name="start_adapter",
            field=models.ForeignKey(
                blank=True,
                help_text="What it goes on from; empty: nothing, or it is deleted.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="successor_trainings",
                to="models.adapter",
            ),
        ),
        migrations.AddField(
            model_name="trainingjob",
            name="test",
            field=models.JSONField(
                default=dict,
                help_text="What its result came to on the test rows: a trainer.events.Measured.",
            ),
        ),
        *(
            migrations.AlterField(
                model_name=model, name="name", field=models.CharField(choices=NAMES, max_length=20)
            )
            for model in ("metric", "metricspan")
        ),
    ]
