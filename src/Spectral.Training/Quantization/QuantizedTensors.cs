using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// Collects the companions of quantised weights while a folder is opened, and puts each weight together with its codes.
/// </summary>
/// <param name="settings">What the folder's config says.</param>
/// <param name="directory">The folder, for messages.</param>
internal sealed class QuantizedTensors(QuantizationSettings settings, string directory)
{
    private const string WeightEnd = "." + StoredForm.Weight;

    private readonly string[] _ends = [.. settings.Form.Companions.Select(companion => $".{companion}")];
    private readonly string[] _ignored = [.. settings.Form.Ignored.Select(companion => $".{companion}")];
    private readonly Dictionary<string, Dictionary<string, SafetensorsTensor>> _companions = new(
        StringComparer.Ordinal
    );

    /// <summary>Takes a tensor if it is a companion of a quantised weight, or one that the form ignores.</summary>
    /// <param name="tensor">The stored tensor.</param>
    /// <param name="wanted">The names of the model's tensors, of which the weight may be one.</param>
    /// <returns>Whether it is taken.</returns>
    /// <exception cref="InputException">The weight has such a companion already.</exception>
    public bool TryAdd(SafetensorsTensor tensor, IReadOnlySet<string> wanted)
    {
        if (EndOf(tensor, _ends) is not { } end)
            return EndOf(tensor, _ignored) is not null;
        string weight = WrappedNames.Resolve(tensor.Name[..^end.Length] + WeightEnd, wanted);
        if (!_companions.TryGetValue(weight, out Dictionary<string, SafetensorsTensor>? parts))
            _companions.Add(weight, parts = new Dictionary<string, SafetensorsTensor>(StringComparer.Ordinal));
        if (parts.TryAdd(end[1..], tensor))
            return true;
        throw new InputException(
            $"{directory}: the tensors {InputText.Quote(parts[end[1..]].Name)} and {InputText.Quote(tensor.Name)} "
                + $"are both {end[1..]} of {weight}, expected one of them"
        );
    }

    /// <summary>Replaces the codes among a folder's tensors by the weights that they stand for.</summary>
    /// <param name="tensors">The folder's tensors by name, companions left out.</param>
    /// <param name="shapes">The tensors of the model and their dimensions.</param>
    /// <returns>The number of quantised weights.</returns>
    /// <exception cref="InputException">The parts of a weight do not fit, or it may not be quantised.</exception>
    public int Assemble(
        Dictionary<string, SafetensorsTensor> tensors,
        IReadOnlyDictionary<string, IReadOnlyList<long>> shapes
    )
    {
        IEnumerable<string> withCodes = shapes.Where(shape => HasCodes(tensors, shape)).Select(shape => shape.Key);
        string[] names = [.. _companions.Keys.Union(withCodes).Order(StringComparer.Ordinal)];
        foreach (string name in names)
            tensors[name] = new(Open(tensors.GetValueOrDefault(name), name, shapes.GetValueOrDefault(name)));
        return names.Length;
    }

    private StoredWeight Open(SafetensorsTensor? codes, string name, IReadOnlyList<long>? shape)
    {
        Dictionary<string, SafetensorsTensor> parts = new(_companions.GetValueOrDefault(name) ?? []);
        if (codes is not null)
            parts.Add(StoredForm.Weight, codes);
        SafetensorsTensor any = codes ?? parts.Values.First();
        if (any.IsTransposed)
        {
            throw WeightParts.Wrong(
                any,
                "floats: a weight that files have with rows and columns exchanged is not read if it is quantised"
            );
        }

        string module = name[..^WeightEnd.Length];
        if (settings.EntryFor(module) is { } entry)
        {
            throw WeightParts.Wrong(
                any,
                $"floats: {settings.Key} of {settings.Path} lists {InputText.Quote(entry)} as not quantised"
            );
        }

        return settings.Form.Open(new WeightParts(name, shape, parts), settings);
    }

    private static string? EndOf(SafetensorsTensor tensor, string[] ends) =>
        Array.Find(ends, end => tensor.Name.EndsWith(end, StringComparison.Ordinal));

    private static bool HasCodes(
        Dictionary<string, SafetensorsTensor> tensors,
        KeyValuePair<string, IReadOnlyList<long>> shape
    ) =>
        shape.Value.Count == 2
        && tensors.TryGetValue(shape.Key, out SafetensorsTensor? tensor)
        && !tensor.Type.IsFloat();
}
