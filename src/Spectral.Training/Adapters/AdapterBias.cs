namespace Spectral.Training.Adapters;

/// <summary>Which biases of a model an adapter trains.</summary>
public enum AdapterBias
{
    /// <summary>No bias of the model trains.</summary>
    None,

    /// <summary>The biases of the adapted layers train.</summary>
    Adapted,

    /// <summary>The biases of all linear layers train, adapted or not.</summary>
    All,
}
