namespace Spectral.Training.Data;

/// <summary>Which tokens of a conversation carry loss.</summary>
public enum TrainOn
{
    /// <summary>Those of every turn of the assistant.</summary>
    Assistant,

    /// <summary>Those of the last turn, if it is the assistant's.</summary>
    Completion,

    /// <summary>All tokens but the first.</summary>
    All,
}
