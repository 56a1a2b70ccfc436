[assembly: LevelOfParallelism(2)]

namespace Spectral.Cli.Tests.Support;

/// <summary>A fixture that gives each test a folder of its own, with a tiny model and data.</summary>
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

    /// <summary>Returns all entries of the folder, hidden ones too; a refused command may add none.</summary>
    protected string[] Entries() =>
        [
            .. Directory
                .GetFileSystemEntries(Folder)
                .Select(path => Path.GetFileName(path)!)
                .Order(StringComparer.Ordinal),
        ];

    /// <summary>Runs a command that has to be refused, and checks that it left nothing behind.</summary>
    protected Outcome Refused(string[] arguments, params string[] named)
    {
        string[] before = Entries();
        Outcome outcome = CommandLine.Run(arguments).Refused(2, named);
        Assert.That(outcome.Output, Is.Empty);
        Assert.That(Entries(), Is.EqualTo(before));
        return outcome;
    }

    /// <summary>
    /// Returns the arguments for two steps on the CPU device; options in <paramref name="more"/> override the others.
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
