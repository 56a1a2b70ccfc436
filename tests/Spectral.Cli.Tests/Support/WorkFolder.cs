[assembly: LevelOfParallelism(2)]

namespace Spectral.Cli.Tests.Support;

/// <summary>A folder of its own for each test, with a tiny model and data in it.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase), Parallelizable(ParallelScope.All)]
public abstract class WorkFolder
{
    protected string Folder { get; } = Directory.CreateTempSubdirectory("spectral-cli-").FullName;

    protected string Model => At("model");

    protected string Data => At("data.jsonl");

    protected string Out => At("out");

    protected string At(string name) => Path.Combine(Folder, name);

    [SetUp]
    public void WriteInputs()
    {
        TinyModel.Create(Model);
        TinyModel.WriteData(Data, 24);
    }

    [TearDown]
    public void DeleteFolder() => Directory.Delete(Folder, recursive: true);

    /// <summary>What a refused command may leave: nothing new, not even under a hidden name.</summary>
    protected string[] Entries() =>
        [
            .. Directory
                .GetFileSystemEntries(Folder)
                .Select(path => Path.GetFileName(path)!)
                .Order(StringComparer.Ordinal),
        ];

    /// <summary>Runs a command that has to refuse, and checks that it left nothing behind.</summary>
    protected Outcome Refused(string[] arguments, params string[] named)
    {
        string[] before = Entries();
        Outcome outcome = CommandLine.Run(arguments).Refused(2, named);
        Assert.That(outcome.Output, Is.Empty);
        Assert.That(Entries(), Is.EqualTo(before));
        return outcome;
    }

    /// <summary>
    /// Two steps on the CPU device; an option in <paramref name="more"/> takes the place of the same one here.
    /// </summary>
    protected string[] Finetune(params string[] more)
    {
        string[] steps = more.Contains("--steps") || more.Contains("--epochs") ? [] : ["--steps", "2"];
        return
        [
            "finetune",
            "--model",
            Model,
            "--data",
            Data,
            "--out",
            Out,
            .. steps,
            "--batch",
            "2",
            "--device",
            "cpu",
            .. more,
        ];
    }
}
