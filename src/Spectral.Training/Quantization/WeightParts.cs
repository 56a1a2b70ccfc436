using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// The stored tensors of one quantised weight, with checks that say which tensor was found and what was expected.
/// </summary>
/// <param name="name">The name of the weight in the model, such as <c>model.layers.0.mlp.up_proj.weight</c>.</param>
/// <param name="shape">The weight's dimensions by <c>config.json</c>; null: no part of the model uses it.</param>
/// <param name="tensors">The tensors by part: <c>weight</c> and the form's companions.</param>
internal sealed class WeightParts(
    string name,
    IReadOnlyList<long>? shape,
    IReadOnlyDictionary<string, SafetensorsTensor> tensors
)
{
    /// <summary>The name of the weight in the model.</summary>
    public string Name { get; } = name;

    /// <summary>Returns a part of the weight; null: it is not stored.</summary>
    public SafetensorsTensor? Find(string part) => tensors.GetValueOrDefault(part);

    /// <summary>Returns a part of the weight.</summary>
    /// <param name="part">The part's name.</param>
    /// <param name="expected">What it would be, for the message.</param>
    /// <exception cref="InputException">It is not stored.</exception>
    public SafetensorsTensor Require(string part, string expected) =>
        Find(part) ?? throw Missing($"{ModuleName}.{part}", expected);

    /// <summary>Returns a part of the weight of some type and shape.</summary>
    /// <exception cref="InputException">It is not stored, or is of another type or shape.</exception>
    public SafetensorsTensor Require(string part, StoredType type, params long[] dimensions)
    {
        string expected = $"{type.HeaderName()} {InputText.Shape(dimensions)}";
        SafetensorsTensor tensor = Require(part, expected);
        return tensor.Type == type && tensor.Shape.SequenceEqual(dimensions) ? tensor : throw Wrong(tensor, expected);
    }

    /// <summary>Returns a part of the weight that holds floats in some number, in whatever shape.</summary>
    /// <exception cref="InputException">It is not stored, is no float, or of another size.</exception>
    public SafetensorsTensor RequireFloats(string part, long count)
    {
        string expected = $"{count} floats";
        SafetensorsTensor tensor = Require(part, expected);
        return tensor.Type.IsFloat() && tensor.Count == count ? tensor : throw Wrong(tensor, expected);
    }

    /// <summary>Refuses a part of the weight that is stored.</summary>
    /// <param name="part">The part's name.</param>
    /// <param name="reason">Why there may be none.</param>
    /// <exception cref="InputException">It is stored.</exception>
    public void RequireNone(string part, string reason)
    {
        if (Find(part) is { } tensor)
            throw Wrong(tensor, $"none: {reason}");
    }

    /// <summary>Checks rows and columns against those that the model wants.</summary>
    /// <param name="source">The tensor that says them, for the message.</param>
    /// <param name="dimensions">The rows and columns.</param>
    /// <exception cref="InputException">They differ, or are no matrix.</exception>
    public (int Rows, int Columns) RequireMatrix(SafetensorsTensor source, IReadOnlyList<long> dimensions)
    {
        bool isMatrix = dimensions.Count == 2 && dimensions.All(size => size is > 0 and <= int.MaxValue);
        if (isMatrix && (shape is null || dimensions.SequenceEqual(shape)))
            return ((int)dimensions[0], (int)dimensions[1]);
        throw new InputException(
            $"{source.Path}: tensor {InputText.Quote(source.Name)} gives {Name} the shape "
                + $"{InputText.Shape([.. dimensions])}, expected "
                + (shape is null ? "a matrix" : $"{InputText.Shape([.. shape])} from config.json")
        );
    }

    /// <summary>The tensors of the weight in a fixed order, codes first.</summary>
    public IReadOnlyList<SafetensorsTensor> InOrder(params string[] parts) =>
        [.. parts.Select(Find).OfType<SafetensorsTensor>()];

    /// <summary>Reports a part that is not as expected.</summary>
    public static InputException Wrong(SafetensorsTensor found, string expected) =>
        new(
            $"{found.Path}: tensor {InputText.Quote(found.Name)} is {found.Type.HeaderName()} "
                + $"{InputText.Shape([.. found.StoredShape])}, expected {expected}"
        );

    private string ModuleName => Name[..^(StoredForm.Weight.Length + 1)];

    private InputException Missing(string part, string expected) =>
        new(
            $"{tensors.Values.First().Path}: tensor {InputText.Quote(part)} is missing beside "
                + $"{InputText.Quote(tensors.Values.First().Name)}, expected {expected}"
        );
}
