using Spectral.Training.IO;

namespace Spectral.Training.Packing;

/// <summary>The stored parts of one packed tensor.</summary>
/// <param name="file">The file of the parts.</param>
/// <param name="name">The name of the packed tensor.</param>
/// <param name="taken">Receives the names of the parts that a codec reads.</param>
internal sealed class PackedParts(SafetensorsFile file, string name, ISet<string> taken)
{
    /// <summary>Returns packed codes of a number of bits.</summary>
    /// <exception cref="InputException">The part is missing, or has another type or size.</exception>
    public SafetensorsTensor Codes(string leaf, long bits) => Part(leaf, StoredType.U8, [(bits + 7) / 8]);

    /// <summary>Returns packed codes whose number only other parts tell.</summary>
    /// <exception cref="InputException">The part is missing, or has another type or rank.</exception>
    public SafetensorsTensor Codes(string leaf) => Part(leaf, StoredType.U8, null);

    /// <summary>Returns numbers of a shape.</summary>
    /// <exception cref="InputException">The part is missing, or has another type or shape.</exception>
    public SafetensorsTensor Numbers(string leaf, StoredType type, params long[] shape) => Part(leaf, type, shape);

    /// <summary>Returns an error about the tensor as a whole.</summary>
    public InputException Wrong(string what) =>
        new($"{file.Path}: the packed tensor {InputText.Quote(name)} {what}; the file is damaged");

    private SafetensorsTensor Part(string leaf, StoredType type, long[]? shape)
    {
        SafetensorsTensor part = file[$"{name}.{leaf}"];
        taken.Add(part.Name);
        if (part.Type == type && (shape is null ? part.Shape.Count == 1 : part.Shape.SequenceEqual(shape)))
            return part;
        string wanted = shape is null ? "of one dimension" : InputText.Shape(shape);
        throw new InputException(
            $"{part.Path}: tensor {InputText.Quote(part.Name)} is {part.Type.HeaderName()} "
                + $"{InputText.Shape([.. part.Shape])}, expected {type.HeaderName()} {wanted}"
        );
    }
}
