using Spectral.Cli.Options;

namespace Spectral.Cli.Continual;

/// <summary>One of the tasks that are trained one after another.</summary>
/// <param name="Number">Its place, from 1.</param>
/// <param name="Files">Its name and the files of its records.</param>
/// <param name="Records">The records as tokens: those to train on and those to evaluate on.</param>
internal sealed record ContinualTask(int Number, TaskFiles Files, RunRecords Records)
{
    /// <summary>What tables and folders call it.</summary>
    public string Name => Files.Name;

    /// <summary>The name of the folder in --out with the adapter after this task.</summary>
    public string Folder => FormattableString.Invariant($"{Number}-{Name}");
}
