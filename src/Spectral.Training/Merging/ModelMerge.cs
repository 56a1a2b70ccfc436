using Spectral.Kernels;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Export;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Merging;

/// <summary>
/// Merges several adapters and tuned checkpoints of one base into one model, in a streaming pass over the tensors.
/// </summary>
/// <remarks>
/// Opening checks everything that can be checked without reading values. Checkpoints are read in pieces; an adapter
/// counts as the dense change of each weight, of which one at a time is in memory. Sums are F32 and rounded once to the
/// type of the result.
/// </remarks>
/// <example>
/// <code>
/// using var folder = ModelFolder.Open(modelPath);
/// MergeMethod ties = MergeMethods.Find("ties");
/// MergeInput[] inputs = [new(adapterPath), new(Path.Combine(dataPath, "tuned"), Weight: 0.5)];
/// using var merge = ModelMerge.Open(folder, ties, inputs, new MergeOptions { Density = 0.2 }, device);
/// merge.Write(outputPath);
/// </code>
/// </example>
public sealed class ModelMerge : IDisposable
{
    private readonly ModelFolder _model;
    private readonly ModelFolder? _origin;
    private readonly MergeMethod _method;
    private readonly MergeOptions _options;
    private readonly Device _device;
    private readonly double[] _weights;
    private readonly List<MergeSource> _sources = [];

    private ModelMerge(
        ModelFolder model,
        MergeMethod method,
        IReadOnlyList<MergeInput> inputs,
        MergeOptions options,
        Device device
    )
    {
        (_model, _method, _options, _device) = (model, method, options, device);
        _weights = [.. inputs.Select(input => input.Weight ?? 1)];
        try
        {
            if (method.OriginSetting is { } setting)
            {
                _origin = ModelFolder.Open(options.Texts[setting]);
                CheckpointSource.RequireTensorsOf(model, _origin);
            }

            foreach (MergeInput input in inputs)
                _sources.Add(MergeSource.Open(_origin ?? _model, input.Directory, _device));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The warnings about things that are unusual but harmless, one line each.</summary>
    public IReadOnlyList<string> Warnings =>
        [
            .. _sources.SelectMany(source => source.Warnings).Distinct(),
            .. _sources
                .GroupBy(source => Path.TrimEndingDirectorySeparator(Path.GetFullPath(source.Directory)))
                .Where(same => same.Count() > 1)
                .Select(same => $"{same.First().Directory}: given {same.Count()} times, and merged as so many inputs"),
            .. _method.NeedsCommonBase ? _sources.Select(source => source.Doubt).OfType<string>() : [],
            .. _sources
                .Where(source => source.Parts)
                .Select(source =>
                    $"{source.Directory}: unties the input and output embeddings; the merged model stores both, with "
                    + "tie_word_embeddings false"
                ),
        ];

    /// <summary>Opens the inputs and checks them and the options.</summary>
    /// <param name="model">The base of all inputs.</param>
    /// <param name="method">The method to merge by.</param>
    /// <param name="inputs">The adapters and checkpoints to merge.</param>
    /// <param name="options">The settings.</param>
    /// <param name="device">The device for products and decompositions of matrices.</param>
    /// <exception cref="InputException">
    /// An input is malformed or of another base, their number does not suit the method, or an option is out of range or
    /// one that the method does not have.
    /// </exception>
    public static ModelMerge Open(
        ModelFolder model,
        MergeMethod method,
        IReadOnlyList<MergeInput> inputs,
        MergeOptions options,
        Device device
    )
    {
        MergeChecks.Require(model.Config, method, inputs, options);
        return new ModelMerge(model, method, inputs, options, device);
    }

    /// <summary>
    /// Writes the result: the merged model folder, with as many files of weights as the base has, or what else the
    /// method makes of the inputs. In a model, tensors that no input changes are copied bit for bit, and so are the
    /// base's tokenizer and generation settings.
    /// </summary>
    /// <param name="directory">An existing folder for the result.</param>
    /// <param name="progress">Told of each tensor that is done; null: nobody.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <returns>The number of tensors written.</returns>
    /// <exception cref="InputException">A value is not finite, or too large for the type of the result.</exception>
    public int Write(string directory, Action<MergeProgress>? progress = null, CancellationToken cancellation = default)
    {
        using MergeRun run = Start(progress, cancellation);
        return _method.Write(run, directory);
    }

    /// <summary>
    /// Writes the merge as a plain LoRA, which PEFT reads: of each changed linear layer the truncated SVD of its
    /// change.
    /// </summary>
    /// <param name="directory">An existing folder for the result.</param>
    /// <param name="rank">The rank of the LoRA, at least 1.</param>
    /// <param name="progress">Told of each tensor that is done; null: nobody.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <returns>What the LoRA lacks of the merge, per layer and in all.</returns>
    /// <exception cref="InputException">
    /// The method keeps the inputs apart, no linear layer is changed, or a value is not finite or too large for the
    /// type of the result.
    /// </exception>
    public LowRankResult WriteAdapter(
        string directory,
        int rank,
        Action<MergeProgress>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rank, 1);
        if (_method is not OneModelMerge method)
            throw new InputException($"{_method.Name} keeps the inputs apart; there is no one adapter of them");
        using MergeRun run = Start(progress, cancellation);
        StoredType type = _options.Type ?? StoredType.F32;
        return LowRankMerge.Write(run, method.Begin(run), directory, Path.GetFullPath(_model.Directory), rank, type);
    }

    /// <summary>Writes the result as one GGUF file for llama.cpp, with the base's tokenizer.</summary>
    /// <param name="path">The file to write, which is replaced if it exists.</param>
    /// <param name="type">The type of the matrices; null: that of the embedding in the base.</param>
    /// <param name="progress">Told of each tensor that is done; null: nobody.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <exception cref="InputException">
    /// The method keeps the inputs apart; llama.cpp cannot compute such a model or has no such tokenizer; or a value is
    /// not finite, or too large for the type.
    /// </exception>
    public GgufResult WriteGguf(
        string path,
        GgufType? type = null,
        Action<MergeProgress>? progress = null,
        CancellationToken cancellation = default
    )
    {
        if (_method is not OneModelMerge method)
            throw new InputException($"{_method.Name} keeps the inputs apart; there is no one model of them");
        using MergeRun run = Start(progress, cancellation);
        TensorMerge merge = method.Begin(run);
        return GgufModel.Write(_model, run.ResultConfig, path, type, name => OneModelMerge.Values(run, merge, name));
    }

    /// <summary>
    /// Merges the factors A and B of plain LoRAs apart, as PEFT's <c>add_weighted_adapter</c> does for <c>linear</c>,
    /// <c>ties</c>, <c>dare_linear</c>, <c>dare_ties</c> and <c>magnitude_prune</c>, and writes a LoRA of their rank.
    /// </summary>
    /// <param name="directory">An existing folder for the result.</param>
    /// <param name="progress">Told of each layer that is done; null: nobody.</param>
    /// <param name="cancellation">Checked between layers.</param>
    /// <returns>The number of tensors written.</returns>
    /// <exception cref="InputException">
    /// The method has no form for factors (<see cref="MergeMethod.MergesFactors"/>), an input is more than a plain LoRA
    /// of linear layers, their ranks differ, or a value is not finite or too large for the type of the result.
    /// </exception>
    public int WriteFactors(
        string directory,
        Action<MergeProgress>? progress = null,
        CancellationToken cancellation = default
    )
    {
        if (_method is not OneModelMerge { MergesFactors: true } method)
        {
            IEnumerable<string> known = MergeMethods.All.Where(one => one.MergesFactors).Select(one => one.Name);
            throw new InputException(
                $"{_method.Name} does not merge the factors of LoRAs, expected one of: {string.Join(", ", known)}"
            );
        }

        using MergeRun run = Start(progress, cancellation);
        if (method.Scans(run) > 0)
        {
            throw new InputException(
                $"{method.Name} looks at the whole model with these settings; factors are merged one by one, expected "
                    + "settings that look at one tensor at a time"
            );
        }

        StoredType type = _options.Type ?? StoredType.F32;
        return FactorMerge.Write(run, method.Begin(run), directory, Path.GetFullPath(_model.Directory), type);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (MergeSource source in _sources)
            source.Dispose();
        _origin?.Dispose();
    }

    private MergeRun Start(Action<MergeProgress>? progress, CancellationToken cancellation) =>
        new(_model, _origin, _method, _sources, _weights, _options, _device, progress, cancellation);
}
