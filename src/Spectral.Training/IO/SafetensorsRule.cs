namespace Spectral.Training.IO;

/// <summary>The ways in which a safetensors file can be wrong. Each has its own test.</summary>
public enum SafetensorsRule
{
    /// <summary>The file ends before the 8 bytes of the header length.</summary>
    FileTooShort,

    /// <summary>The header length is above 100,000,000.</summary>
    HeaderTooLarge,

    /// <summary>The header is longer than the file.</summary>
    HeaderBeyondFile,

    /// <summary>The header does not begin with an opening brace.</summary>
    HeaderNotObject,

    /// <summary>The header is not UTF-8.</summary>
    HeaderNotUtf8,

    /// <summary>The header is not one JSON object with nothing but space after it.</summary>
    HeaderNotJson,

    /// <summary>A key occurs twice: two tensors, two metadata entries or two fields of a tensor.</summary>
    DuplicateKey,

    /// <summary>The metadata is not an object of strings.</summary>
    BadMetadata,

    /// <summary>A tensor's entry is not an object of exactly dtype, shape and data_offsets, each of its type.</summary>
    BadEntry,

    /// <summary>The dtype is none of the format's.</summary>
    UnknownType,

    /// <summary>A dimension is negative or not a whole number.</summary>
    BadShape,

    /// <summary>An offset is negative or not a whole number, or the end lies before the beginning.</summary>
    BadOffsets,

    /// <summary>The number of bits of a tensor exceeds 63 bits.</summary>
    SizeOverflow,

    /// <summary>Elements narrower than a byte do not fill their last byte.</summary>
    PartialByte,

    /// <summary>The byte range has another length than dtype and shape ask for.</summary>
    SizeMismatch,

    /// <summary>The byte range ends beyond the file.</summary>
    BeyondFile,

    /// <summary>Bytes before or between tensors belong to none.</summary>
    Hole,

    /// <summary>Two tensors share bytes.</summary>
    Overlap,

    /// <summary>Bytes after the last tensor belong to none.</summary>
    TrailingData,
}
