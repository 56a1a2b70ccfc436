using System.Text.Json;
using System.Text.Json.Serialization;
using Spectral.Training.IO;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests;

/// <summary>The generated serialiser writes and reads what reflection did: older states can be resumed.</summary>
public sealed class StateJsonTests
{
    private static readonly JsonSerializerOptions Reflecting = new()
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    [Test]
    public void ItWritesTheTextThatReflectionWrote()
    {
        var progress = new TrainerProgress { Step = 3, Loss = double.NaN };
        var run = new Trainer.SavedRun(new TrainerOptions { Steps = 4, Batch = 3 }, 12, progress, EpochsEnd: true);
        string text = JsonSerializer.Serialize(run, StateJson.Default.SavedRun);
        Assert.That(text, Is.EqualTo(JsonSerializer.Serialize(run, Reflecting)));
    }

    [Test]
    public void AnOptionThatAnOlderStateLacksHasItsDefault()
    {
        const string Text = """{"Options": {"Batch": 2, "Optimizer": {"Beta1": 0.5}}, "Records": 3, "Progress": {}}""";
        Trainer.SavedRun run = JsonDefaults.Deserialize(Text, StateJson.Default.SavedRun, Trainer.Defaults)!;
        TrainerOptions expected = new()
        {
            Batch = 2,
            Optimizer = new AdamWOptions { Beta1 = 0.5 },
        };
        Assert.That(run.Options, Is.EqualTo(expected));
        Assert.That(run.Progress.Evaluations, Is.Empty);
    }
}
