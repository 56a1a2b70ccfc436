namespace Spectral.Training.Adapters;

/// <summary>Which biases of a model an adapter trains.</summary>
public enum AdapterBias
{
    /// <summary>None.</summary>
    None,

    /// <summary>Those of the adapted layers.</summary>
    Adapted,

    /// <summary>All that linear layers have, adapted or not.</summary>
    All,
}
