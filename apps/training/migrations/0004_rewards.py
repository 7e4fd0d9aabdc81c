from django.db import migrations, models

NAMES = [
    ("loss", "training loss"),
    ("validation_loss", "validation loss"),
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
    dependencies = [("training", "0003_line_and_sweeps")]

    operations = [
        migrations.AlterField(
            model_name=model, name="name", field=models.CharField(choices=NAMES, max_length=20)
        )
        for model in ("metric", "metricspan")
    ]
