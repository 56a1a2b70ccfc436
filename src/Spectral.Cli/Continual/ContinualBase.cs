using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Cli.Continual;

/// <summary>
/// The model that the adapter of a task changes: the base, or the model with the adapters of all earlier tasks folded
/// in. One model is in device memory at a time.
/// </summary>
/// <param name="context">The command line.</param>
/// <param name="inputs">The base.</param>
/// <param name="device">The device to compute on.</param>
/// <param name="type">The compute type.</param>
internal sealed class ContinualBase(CommandContext context, ModelInputs inputs, Device device, DType type) : IDisposable
{
    private const string Folded = "model";

    private ModelFolder? _folder;
    private CausalLanguageModel? _model;
    private string? _loaded;

    /// <summary>Returns the base, loaded.</summary>
    public CausalLanguageModel Model => Load(null);

    /// <summary>Returns the base with the adapters of some tasks folded in, loaded.</summary>
    /// <param name="task">The folder of the last of these tasks; null: the base.</param>
    public CausalLanguageModel After(string? task) => Load(task is null ? null : Path.Combine(task, Folded));

    /// <summary>
    /// Folds the adapter of a task into the model that it changes, and writes the result into the task's folder, unless
    /// it is there already.
    /// </summary>
    /// <param name="task">The folder of the task.</param>
    /// <param name="before">The folder of the task before; null: it is the first.</param>
    public void Fold(string task, string? before)
    {
        string target = Path.Combine(task, Folded);
        if (Directory.Exists(target))
            return;
        using var output = new OutputFolder(target, overwrite: false);
        output.Claim();
        using ModelFolder? earlier = before is null ? null : ModelFolder.Open(Path.Combine(before, Folded));
        output.Fill(written => Merger.Merge(earlier ?? inputs.Folder, task, written, device, context.Cancellation));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _model?.Dispose();
        _folder?.Dispose();
    }

    private CausalLanguageModel Load(string? directory)
    {
        if (_model is not null && _loaded == directory)
            return _model;
        Dispose();
        (_model, _folder, _loaded) = (null, null, directory);
        if (directory is not null)
            _folder = ModelFolder.Open(directory);
        return _model = _folder is null ? inputs.Load(device, type) : CausalLanguageModel.Load(_folder, device, type);
    }
}
